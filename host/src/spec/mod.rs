//! The YAML file: parsing with places, overlays, interpolation, checking, diagnostics. Never opens a connection.
