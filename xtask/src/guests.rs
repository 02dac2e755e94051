//! The components: plugins, and guests for tests. One build makes all of them, so that a test and the demo run the
//! same bytes.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context;

use crate::cargo::{Artifact, build};
use crate::workspace;

/// The packages that are components.
const PACKAGES: [&str; 4] = ["download", "upload", "faulty", "probe"];
/// How they are built.
const BUILD: [&str; 4] = ["--target", "wasm32-wasip2", "--profile", "guest"];

/// The components, where the build left them.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Guests {
    /// Fetches files that messages name.
    pub download: PathBuf,
    /// Moves fetched files to where they stay.
    pub upload: PathBuf,
    /// Fails as its message says.
    pub faulty: PathBuf,
    /// Does what its message says, on the contract alone.
    pub probe: PathBuf,
}

/// Builds the components.
pub fn build_all() -> anyhow::Result<Guests> {
    let packages = PACKAGES.iter().flat_map(|package| ["--package", package]);
    let artifacts = build(&packages.chain(BUILD).collect::<Vec<_>>())?;
    let component = |name| component(&artifacts, name);
    Ok(Guests {
        download: component("download")?,
        upload: component("upload")?,
        faulty: component("faulty")?,
        probe: component("probe")?,
    })
}

/// Builds the component that the benchmark calls. By itself, for it is measured beside the same code native and so has
/// the features that the host asks of libraries, which no other component is to get.
pub fn build_enrich() -> anyhow::Result<PathBuf> {
    let artifacts = build(&[&["--package", "enrich"], BUILD.as_slice()].concat())?;
    component(&artifacts, "enrich")
}

/// Builds the component that the benchmark feeds source events to.
pub fn build_events() -> anyhow::Result<PathBuf> {
    let artifacts = build(&[&["--package", "events"], BUILD.as_slice()].concat())?;
    component(&artifacts, "events")
}

/// Builds the components and lays the plugins where `pipelines.yaml` names them.
pub fn install() -> anyhow::Result<Guests> {
    let guests = build_all()?;
    for (name, built) in [("download", &guests.download), ("upload", &guests.upload)] {
        let place = workspace::root().join("plugins").join(name).with_extension("wasm");
        replace(built, &place).with_context(|| format!("cannot write {}", place.display()))?;
    }
    Ok(guests)
}

fn component(artifacts: &[Artifact], name: &str) -> anyhow::Result<PathBuf> {
    let files = artifacts.iter().filter(|artifact| artifact.name == name).flat_map(|artifact| &artifact.files);
    let mut components = files.filter(|file| file.extension().is_some_and(|extension| extension == "wasm"));
    components.next().cloned().with_context(|| format!("the build made no component `{name}`"))
}

/// Lays a file at a place in one step, so that a host that starts meanwhile reads the old one or the new one, whole.
/// A file that is there already is left alone.
fn replace(file: &Path, place: &Path) -> std::io::Result<()> {
    let content = fs::read(file)?;
    if fs::read(place).is_ok_and(|there| there == content) {
        return Ok(());
    }
    let beside = place.with_extension(format!("{}.tmp", std::process::id()));
    fs::write(&beside, content)?;
    fs::rename(&beside, place)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_component_is_told_from_its_library() {
        let files = ["/t/libdownload.rlib", "/t/download.wasm"].map(PathBuf::from).to_vec();
        let artifacts = [Artifact { name: "download".into(), files, executable: None }];
        assert_eq!(component(&artifacts, "download").unwrap(), PathBuf::from("/t/download.wasm"));
        assert!(component(&artifacts, "upload").unwrap_err().to_string().contains("no component `upload`"));
    }
}
