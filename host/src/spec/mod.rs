//! The YAML file: parsing with places, overlays, interpolation, checking, diagnostics. Never opens a connection.
//!
//! ```text
//! files, --set ─▶ parse ─▶ merge ─▶ interpolate ─▶ read ─▶ Loaded ─▶ check ─▶ Plan
//!                                                            │         ▲
//!                                                            └ components describe themselves
//! ```
//!
//! [`load`] finds what is wrong with the shape, [`check`] what is wrong with the meaning, and the diagnostics of
//! `check` hold both. In between, the caller asks the components of [`Loaded::plugins`] and
//! [`Loaded::configurations`] what they say of themselves. Relative paths in a spec (components, folders, certificates,
//! files of secrets) are left as they are: relative to the working directory, not to the file that names them.

mod check;
mod diagnostic;
mod explain;
mod file;
mod interpolate;
mod limits;
mod load;
mod mask;
mod merge;
mod near;
mod node;
mod parse;
mod place;
pub mod plan;
mod read;
mod render;
mod sarif;
mod schema;
mod sets;
pub mod shape;

pub use check::{Descriptions, check};
pub use diagnostic::{Diagnostic, Diagnostics, Severity};
pub use load::{Environment, Loaded, load, load_str, load_texts};
pub(crate) use near::advice;
pub use place::{Place, Position, Sources};
pub use plan::Plan;
pub use render::Colour;
pub use schema::schema;

#[cfg(test)]
mod tests;
