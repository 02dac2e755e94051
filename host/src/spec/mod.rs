//! The YAML file: parsing with places, overlays, interpolation, checking, diagnostics. Never opens a connection.
//!
//! [`load`] finds what is wrong with the shape. Relative paths in a spec (components, folders, certificates, files of
//! secrets) are left as they are: relative to the working directory, not to the file that names them.

mod diagnostic;
mod explain;
mod interpolate;
mod load;
mod mask;
mod merge;
mod near;
mod node;
mod parse;
mod place;
mod read;
mod render;
mod sets;
pub mod shape;

pub use diagnostic::{Diagnostic, Diagnostics, Severity};
pub use load::{Environment, Loaded, load, load_str, load_texts};
pub use place::{Place, Position, Sources};
pub use render::Colour;
