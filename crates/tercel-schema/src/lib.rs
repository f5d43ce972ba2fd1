//! Tables, columns, domains, views and log sources of tercel.
