//! `lockgate plugin …`

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::{Ended, Failure, Format, answer};
use crate::assemble;
use crate::plugin::{Binding, Description};

/// Look at plugins.
#[derive(Args, Debug)]
#[command(after_help = "Example:\n  lockgate plugin inspect plugins/download.wasm")]
pub(super) struct Plugin {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand, Debug)]
enum Command {
    /// Say what a component is, what it imports and what its config looks like.
    #[command(after_help = "Examples:
  lockgate plugin inspect plugins/download.wasm
  lockgate plugin inspect plugins/upload.wasm --config '{\"domain\":\"claimx\",\"cache\":\"cache\",\"store\":\"lake\"}'")]
    Inspect {
        /// The `.wasm` file.
        file: PathBuf,
        /// The config whose outputs, endpoints and stores are shown; an empty one where nothing is said.
        #[arg(long, value_name = "JSON")]
        config: Option<String>,
        /// How the answer is printed.
        #[arg(long, value_enum, default_value_t)]
        format: Format,
    },
}

impl Plugin {
    pub(super) async fn obey(self) -> Ended {
        let Command::Inspect { file, config, format } = self.command;
        let inspected = assemble::inspect(&file, config.as_deref().unwrap_or("{}")).await?;
        if let (Some(_), Some(reason)) = (&config, &inspected.config_error) {
            return Err(Failure::Usage(format!("the plugin does not take this config: {reason}")));
        }
        match format {
            Format::Json => answer(format_args!("{:#}", serde_json::to_value(&inspected)?)),
            Format::Text => {
                answer(describe(&inspected.description))?;
                if inspected.config_error.is_some() {
                    answer("outputs    depend on the config: say which with --config")?;
                }
                inspected.binding.map_or(Ok(()), |binding| answer(needs(&binding)))
            }
        }
    }
}

fn describe(description: &Description) -> String {
    let Description { name, version, description, config_schema, sha256, contract, imports } = description;
    format!(
        "name       {name}\nversion    {version}\nabout      {description}\nsha256     {sha256}\ncontract   {contract}\n\
         imports    {}\nconfig     {config_schema:#}",
        list(imports)
    )
}

fn needs(binding: &Binding) -> String {
    let Binding { outputs, endpoints, stores, keyvalues } = binding;
    let [outputs, endpoints, stores, keyvalues] = [outputs, endpoints, stores, keyvalues].map(|names| list(names));
    format!("outputs    {outputs}\nendpoints  {endpoints}\nstores     {stores}\nkeyvalues  {keyvalues}")
}

fn list(names: &[String]) -> String {
    if names.is_empty() { "-".into() } else { names.join(", ") }
}
