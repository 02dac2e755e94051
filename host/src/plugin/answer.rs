//! From what a guest answers to what the host believes of it, without a guest: for the fuzz targets. It calls what a
//! slot calls and decides nothing itself.

pub use super::bindings::generated::lockgate::plugin::types;
use super::slots::breach;
use crate::model::Outcome;

/// The outcome, or how it breaks the contract of a plugin with these outputs.
pub fn accept(answer: types::Outcome, outputs: &[String]) -> Result<Outcome, String> {
    let outcome = answer.into();
    match breach(&outcome, outputs) {
        Some(reason) => Err(reason),
        None => Ok(outcome),
    }
}
