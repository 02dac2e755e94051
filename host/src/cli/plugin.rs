//! `lockgate plugin …`

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::{Ended, Format, answer};
use crate::assemble;
use crate::plugin::{Binding, Description};

/// Look at plugins.
#[derive(Args, Debug)]
pub(super) struct Plugin {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand, Debug)]
enum Command {
    /// Say what a component is, what it imports and what its config looks like.
    #[command(after_help = "Example:\n  lockgate plugin inspect plugins/download.wasm")]
    Inspect {
        /// The `.wasm` file.
        file: PathBuf,
        /// The config whose outputs, endpoints and stores are shown.
        #[arg(long, value_name = "JSON", default_value = "{}")]
        config: String,
        /// How the answer is printed.
        #[arg(long, value_enum, default_value_t)]
        format: Format,
    },
}

impl Plugin {
    pub(super) async fn obey(self) -> Ended {
        let Command::Inspect { file, config, format } = self.command;
        let inspected = assemble::inspect(&file, &config).await?;
        match format {
            Format::Json => answer(format_args!("{:#}", serde_json::to_value(&inspected)?)),
            Format::Text => {
                answer(describe(&inspected.description))?;
                if let Some(reason) = inspected.config_error {
                    answer(format_args!("outputs    depend on the config (--config): {reason}"))?;
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
