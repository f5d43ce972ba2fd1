//! Detections as a user sees them: metadata, loading, packs, fixtures, lint.
