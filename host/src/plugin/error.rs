//! Why a component cannot be loaded. Every text says which file and what to do.

use std::path::PathBuf;

use crate::model::Size;

/// Why the engine cannot be made, or a component not be loaded.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum LoadError {
    /// This machine cannot run the engine.
    #[error("the plugin engine cannot start: {0}")]
    Engine(String),
    /// The folder for compiled components is not fit for it.
    #[error("folder {} cannot hold compiled components: {reason}", folder.display())]
    Cache {
        /// Which folder.
        folder: PathBuf,
        /// Why, and what to do.
        reason: String,
    },
    /// The file cannot be read.
    #[error("component {} cannot be read: {reason}", component.display())]
    Read {
        /// Which file.
        component: PathBuf,
        /// What the system said.
        reason: String,
    },
    /// The file is too large to be read.
    #[error("component {} has {size}, more than the {limit} that a component may have", component.display())]
    TooLarge {
        /// Which file.
        component: PathBuf,
        /// What it has.
        size: Size,
        /// What it may have.
        limit: Size,
    },
    /// The file is not the one that was pinned.
    #[error("component {} has sha256 {found}, not the pinned {pinned}", component.display())]
    WrongHash {
        /// Which file.
        component: PathBuf,
        /// What the spec says, in hex.
        pinned: String,
        /// What the file has, in lower-case hex.
        found: String,
    },
    /// The file is something else.
    #[error("{} is no WebAssembly file", component.display())]
    NotWasm {
        /// Which file.
        component: PathBuf,
    },
    /// The file is the kind of WebAssembly that components are made of.
    #[error("{} is a core module, not a component; build it for the target wasm32-wasip2", component.display())]
    CoreModule {
        /// Which file.
        component: PathBuf,
    },
    /// The component cannot be compiled.
    #[error("component {} cannot be compiled: {reason}", component.display())]
    Compile {
        /// Which file.
        component: PathBuf,
        /// What the compiler said.
        reason: String,
    },
    /// It imports what no plugin is given.
    #[error("component {} imports what no plugin is given: {}", component.display(), imports.join(", "))]
    Imports {
        /// Which file.
        component: PathBuf,
        /// Every such import, with what to use instead.
        imports: Vec<String>,
    },
    /// It does not export what a plugin exports.
    #[error("component {} is not a plugin of this host: {reason}", component.display())]
    Contract {
        /// Which file.
        component: PathBuf,
        /// What is missing or different.
        reason: String,
    },
    /// It could not describe itself.
    #[error("component {} cannot describe itself: {reason}", component.display())]
    Describe {
        /// Which file.
        component: PathBuf,
        /// Why.
        reason: String,
    },
}
