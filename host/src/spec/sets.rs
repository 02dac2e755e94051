//! `--set a.b.c=value`: one value on top of all files. The argument is a source like a file, so that what is wrong
//! with it is shown in it.

use super::diagnostic::Diagnostic;
use super::limits::DEEPEST;
use super::node::{Entry, Node, Resolved, Scalar, Value, Written, resolve};
use super::place::Place;

/// What such an argument is called where its place is shown.
pub(super) const NAME: &str = "--set";

/// Makes an overlay of one argument. The value is a scalar; `null` removes the key.
pub(super) fn overlay(source: usize, argument: &str) -> Result<Node, Box<Diagnostic>> {
    let whole = Place::new(source, 0..argument.len());
    let malformed = || {
        Box::new(
            Diagnostic::error("set", whole, "this is no assignment to a key")
                .help("write keys with dots between them: `--set pipelines.download.concurrency=50`"),
        )
    };
    let (path, value) = argument.split_once('=').ok_or_else(malformed)?;
    if path.split('.').any(|key| key.trim().is_empty()) {
        return Err(malformed());
    }
    if path.split('.').count() > DEEPEST {
        let message = format!("no key lies deeper than {DEEPEST} others");
        return Err(Box::new(Diagnostic::error("set", whole, message)));
    }
    let leaf = Node::new(Place::new(source, path.len() + 1..argument.len()), scalar(value));
    let mut end = path.len();
    Ok(path.rsplit('.').fold(leaf, |node, key| {
        let place = Place::new(source, end - key.len()..end);
        end = end.saturating_sub(key.len() + 1);
        Node::new(place, Value::Map(vec![Entry { key: key.trim().to_owned(), place, node }]))
    }))
}

fn scalar(value: &str) -> Value {
    let written = if value.is_empty() { Written::Quoted } else { Written::Plain };
    if written == Written::Plain && resolve(value) == Resolved::Null {
        return Value::Null;
    }
    Value::Scalar(Scalar { text: value.to_owned(), written })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::node::Spot;

    #[test]
    fn an_argument_is_an_overlay_with_places() {
        let argument = "pipelines.a.concurrency=50";
        let node = overlay(3, argument).unwrap();
        let spot = Spot::root(&node).keys(&["pipelines", "a", "concurrency"]);
        assert_eq!((&argument[spot.place().range()], &argument[spot.named().range()]), ("50", "concurrency"));
        assert_eq!(spot.place().source(), 3);
    }

    #[test]
    fn a_value_may_hold_an_equals_sign_or_nothing() {
        for (argument, value) in [("a=b=c", "b=c"), ("a=", "")] {
            let node = overlay(0, argument).unwrap();
            let Value::Scalar(scalar) = &node.get("a").unwrap().value else { panic!("{argument}") };
            assert_eq!(scalar.text, value);
        }
        assert_eq!(overlay(0, "a=null").unwrap().get("a").unwrap().value, Value::Null);
    }

    #[test]
    fn what_is_no_assignment_is_refused() {
        let deep = format!("{}=1", vec!["a"; 100_000].join("."));
        for argument in ["a", "=1", "a..b=1", ".a=1", "", &deep] {
            assert!(overlay(0, argument).is_err(), "{argument:?}");
        }
    }
}
