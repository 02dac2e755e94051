//! The host as it is, in surroundings that misbehave: its clock shows, and its topics fail, what the file of the
//! variable `CHAOS_WEATHER` says at that moment. Everything else is the program `lockgate`.

use std::process::ExitCode;
use std::sync::Arc;

use chaos::leaky::Leaky;
use chaos::weather::{Station, VARIABLE};
use lockgate::assemble::Surroundings;

fn main() -> ExitCode {
    let Some(file) = std::env::var_os(VARIABLE) else {
        eprintln!("error: {VARIABLE} is not set: it names the file with the weather");
        return ExitCode::from(2);
    };
    let station = Arc::new(Station::at(file.into()));
    let surroundings = Surroundings::default()
        .with_clock(station.clone().clock())
        .seeing(move |_, transport| Arc::new(Leaky::new(transport, station.clone())));
    lockgate::cli::main_within(surroundings)
}
