//! OTLP in.
