//! Turns a checked plan into running pipelines. The only file that names concrete parts.
