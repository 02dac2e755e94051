//! A plugin's config against the JSON Schema that the plugin gives, with each fault at the value's own place.

use jsonschema::error::ValidationErrorKind as Kind;
use jsonschema::paths::LocationSegment;
use jsonschema::{PatternOptions, ValidationError, Validator};
use serde_json::Value;

use super::Checker;
use super::references::References;
use crate::spec::diagnostic::Diagnostic;
use crate::spec::mask::is_masked;
use crate::spec::near::{advice, did_you_mean, list};
use crate::spec::node::Spot;

impl<'a> Checker<'a> {
    /// Answers whether the config fits.
    pub(super) fn config_fits(&mut self, plugin: &str, schema: &Value, config: &Value, spot: Spot<'a>) -> bool {
        let validator = match validator(schema) {
            Ok(validator) => validator,
            Err(reason) => {
                let place = self.at(&["plugins", plugin, "component"]).place();
                let message = format!("the config schema of plugin `{plugin}` cannot be used: {reason}");
                let help = "this is the plugin's fault; `lockgate plugin inspect` shows the schema";
                self.report(Diagnostic::error("component", place, message).help(help));
                return false;
            }
        };
        let before = self.problems.len();
        for error in validator.iter_errors(config) {
            if self.is_enough() {
                break;
            }
            self.misfit(plugin, schema, &error, spot.key("config"));
        }
        self.problems.len() == before
    }

    fn misfit(&mut self, plugin: &str, schema: &Value, error: &ValidationError<'_>, config: Spot<'a>) {
        let spot = descend(config, error);
        match error.kind() {
            Kind::AnyOf { context } | Kind::OneOfNotValid { context } if words(context).is_some() => {
                let words = words(context).unwrap_or_default();
                let words: Vec<&str> = words.iter().map(String::as_str).collect();
                let message = format!("the plugin `{plugin}` does not take this: it takes one of {}", list(&words));
                let written = error.instance().as_str().unwrap_or_default();
                let problem = Diagnostic::error("plugin-config", spot.place(), message);
                self.report(problem.maybe_help(did_you_mean(written, &words)));
            }
            // The form that the config comes closest to tells most.
            Kind::AnyOf { context } | Kind::OneOfNotValid { context } if deepest(context).is_some() => {
                for inner in deepest(context).into_iter().flatten() {
                    self.misfit(plugin, schema, inner, config);
                }
            }
            Kind::AdditionalProperties { unexpected } | Kind::UnevaluatedProperties { unexpected } => {
                for key in unexpected {
                    self.unexpected(plugin, schema, key, spot);
                }
            }
            Kind::Required { property } => {
                let key = property.as_str().unwrap_or_default();
                let message = format!("the config of plugin `{plugin}` lacks the key `{key}`");
                self.error("plugin-config", spot.named(), message);
            }
            _ => {
                // What a variable holds that went astray, nobody knows.
                let quoted = !is_masked(spot.place(), &self.loaded.sources);
                let reason = if quoted { error.to_string() } else { error.masked().to_string() };
                let message = format!("the plugin `{plugin}` does not take this: {reason}");
                self.error("plugin-config", spot.place(), message);
            }
        }
    }

    fn unexpected(&mut self, plugin: &str, schema: &Value, key: &str, spot: Spot<'a>) {
        let known = schema.get("properties").and_then(Value::as_object);
        let known = known.into_iter().flat_map(|properties| properties.keys().map(String::as_str));
        let message = format!("the plugin `{plugin}` knows no key `{key}` in its config");
        let problem = Diagnostic::error("plugin-config", spot.key(key).named(), message);
        self.report(problem.maybe_help(advice(key, known)));
    }
}

/// Backtracking over a pattern ends here: what is not told by then is refused.
const MOST_BACKTRACKING: usize = 10_000;
const LARGEST_PATTERN: usize = 1 << 20;

/// What a config is held against; never fetches anything.
fn validator(schema: &Value) -> Result<Validator, String> {
    References::of(schema).map_err(|tangle| tangle.to_string())?;
    let patterns = PatternOptions::fancy_regex().backtrack_limit(MOST_BACKTRACKING).size_limit(LARGEST_PATTERN);
    let options = jsonschema::options().with_pattern_options(patterns);
    options.build(schema).map_err(|error| format!("it is no JSON Schema: {error}"))
}

fn descend<'t>(config: Spot<'t>, error: &ValidationError<'_>) -> Spot<'t> {
    error.instance_path().iter().fold(config, |spot, segment| match segment {
        LocationSegment::Property(key) => spot.key(&key),
        LocationSegment::Index(index) => spot.item(index),
    })
}

/// What a value may be, where each form that it may have is one of some given values.
fn words(forms: &[Vec<ValidationError<'static>>]) -> Option<Vec<String>> {
    let shown = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let mut words = Vec::new();
    for form in forms {
        match form
            .iter()
            .map(ValidationError::kind)
            .find(|kind| matches!(kind, Kind::Constant { .. } | Kind::Enum { .. }))
        {
            Some(Kind::Constant { expected_value }) => words.push(shown(expected_value)),
            Some(Kind::Enum { options }) => words.extend(options.as_array().into_iter().flatten().map(shown)),
            _ => return None,
        }
    }
    (!words.is_empty()).then_some(words)
}

/// Of the forms that a value may have, the faults of the one whose faults lie deepest; none where that says nothing.
fn deepest<'e>(forms: &'e [Vec<ValidationError<'static>>]) -> Option<&'e Vec<ValidationError<'static>>> {
    let depth = |errors: &[ValidationError<'_>]| {
        errors.iter().map(|error| error.instance_path().iter().count()).min().unwrap_or_default()
    };
    let best = forms.iter().max_by_key(|errors| depth(errors))?;
    let unique = forms.iter().filter(|errors| depth(errors) == depth(best)).count() == 1;
    unique.then_some(best)
}
