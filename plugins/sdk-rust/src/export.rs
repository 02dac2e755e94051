//! From a [`Worker`] to the exports of a component.

use std::cell::OnceCell;
use std::rc::Rc;

use schemars::generate::SchemaSettings;

use crate::{Binding, Worker, json};

/// Makes a component of a [`Worker`]: `lockgate_plugin::export!(MyPlugin);`, once a crate. Where the target is no
/// WebAssembly, it only checks that the type is one.
#[macro_export]
macro_rules! export {
    ($worker:ty) => {
        const _: fn() = || {
            fn is_worker<W: $crate::Worker>() {}
            is_worker::<$worker>();
        };

        #[cfg(target_family = "wasm")]
        const _: () = {
            use $crate::bindings::exports::lockgate::plugin::{lifecycle, processor};

            ::std::thread_local! {
                static INSTANCE: $crate::Instance<$worker> = const { $crate::Instance::new() };
            }

            struct Component;

            impl lifecycle::Guest for Component {
                fn describe() -> lifecycle::PluginInfo {
                    $crate::Instance::<$worker>::describe()
                }

                fn configure(config_json: ::std::string::String) -> Result<lifecycle::Binding, ::std::string::String> {
                    INSTANCE.with(|instance| instance.configured(&config_json))
                }
            }

            impl processor::Guest for Component {
                async fn process(context: processor::Context, message: processor::Message) -> processor::Outcome {
                    let worker = INSTANCE.with($crate::Instance::worker);
                    $crate::Instance::<$worker>::process(worker, context, message).await
                }
            }

    $crate::bindings::export_component!(Component with_types_in $crate::bindings);
        };
    };
}

/// The plugin of one instance of a component. For [`export!`](crate::export!) only.
#[derive(Debug)]
pub struct Instance<W> {
    worker: OnceCell<Rc<W>>,
}

impl<W> Instance<W> {
    /// Before `configure`.
    #[expect(clippy::new_without_default, reason = "only the macro makes one, in a constant")]
    pub const fn new() -> Self {
        Self { worker: OnceCell::new() }
    }

    /// The configured plugin.
    pub fn worker(&self) -> Option<Rc<W>> {
        self.worker.get().cloned()
    }
}

impl<W: Worker> Instance<W> {
    /// Reads the config and makes the plugin, once.
    pub(crate) fn configure(&self, config_json: &str) -> Result<Binding, String> {
        let mut binding = Binding::default();
        let worker = W::configure(config(config_json)?, &mut binding)?;
        self.worker.set(Rc::new(worker)).map_err(|_| "this instance is configured already".to_owned())?;
        Ok(binding)
    }

    /// JSON Schema of the config.
    pub(crate) fn schema() -> String {
        let schema = SchemaSettings::draft2020_12().into_generator().into_root_schema_for::<W::Config>();
        schema.to_value().to_string()
    }
}

/// Reads a config. None at all reads as an empty one.
fn config<C: serde::de::DeserializeOwned>(text: &str) -> Result<C, String> {
    let text = if text.trim() == "null" { "{}" } else { text };
    json::configured(text)
}
