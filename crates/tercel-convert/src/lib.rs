//! Detections from one language and vocabulary into another, with what is lost on the way.
