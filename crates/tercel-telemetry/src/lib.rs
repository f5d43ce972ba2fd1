//! Readers of tercel: event logs, JSON, CSV and Parquet into typed batches of events.
