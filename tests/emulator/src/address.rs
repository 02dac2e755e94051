//! What addresses of links and audiences of tokens name. Both come as paths, `hub/Partitions/0`, or as URLs with such a
//! path, `amqps://host:port/hub/ConsumerGroups/$Default/Partitions/0`; case does not matter.

/// What a link leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Node {
    /// Where tokens are put.
    Cbs,
    /// Where hubs are asked about.
    Management,
    /// A hub, or one of its partitions, to send to.
    Sink { hub: String, partition: Option<String> },
    /// A partition as a consumer group reads it.
    Source { hub: String, group: String, partition: String },
    /// Nothing that there is.
    Unknown,
}

impl Node {
    /// What an address names.
    pub(crate) fn of(address: &str) -> Self {
        let path = path(address);
        let segments: Vec<&str> = path.split('/').collect();
        match segments.as_slice() {
            [.., "$cbs"] => Self::Cbs,
            [.., "$management"] => Self::Management,
            [hub] if !hub.is_empty() => Self::Sink { hub: (*hub).to_owned(), partition: None },
            [hub, "partitions", partition] => {
                Self::Sink { hub: (*hub).to_owned(), partition: Some((*partition).to_owned()) }
            }
            [hub, "consumergroups", group, "partitions", partition] => {
                Self::Source { hub: (*hub).to_owned(), group: (*group).to_owned(), partition: (*partition).to_owned() }
            }
            _ => Self::Unknown,
        }
    }
}

/// The path of an address, in lower case and without slashes at its ends.
pub(crate) fn path(address: &str) -> String {
    let path = match address.split_once("://") {
        Some((_, rest)) => rest.split_once('/').map_or("", |(_, path)| path),
        None => address,
    };
    let segments: Vec<&str> = path.split('/').filter(|segment| !segment.is_empty()).collect();
    segments.join("/").to_lowercase()
}

/// The hub that a path lies in.
pub(crate) fn hub(path: &str) -> &str {
    path.split('/').next().unwrap_or_default()
}

/// Whether a path is another one or lies below it.
pub(crate) fn covers(path: &str, below: &str) -> bool {
    path.is_empty() || below.strip_prefix(path).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_address_that_clients_write_names_its_node() {
        let sink =
            |hub: &str, partition: Option<&str>| Node::Sink { hub: hub.into(), partition: partition.map(Into::into) };
        let source = |group: &str| Node::Source { hub: "eh".into(), group: group.into(), partition: "0".into() };
        let table = [
            ("$cbs", Node::Cbs),
            ("amqps://host/$cbs", Node::Cbs),
            ("$management", Node::Management),
            ("eh/$management", Node::Management),
            ("eh", sink("eh", None)),
            ("/EH/", sink("eh", None)),
            ("amqps://localhost:5671/eh", sink("eh", None)),
            ("eh/Partitions/3", sink("eh", Some("3"))),
            ("amqps://host/eh/Partitions/3", sink("eh", Some("3"))),
            ("eh/ConsumerGroups/$Default/Partitions/0", source("$default")),
            ("amqps://host:1/eh/ConsumerGroups/Mine/Partitions/0", source("mine")),
            ("", Node::Unknown),
            ("amqps://host", Node::Unknown),
            ("eh/Publishers/me", Node::Unknown),
            ("eh/ConsumerGroups/mine", Node::Unknown),
        ];
        for (address, node) in table {
            assert_eq!(Node::of(address), node, "{address:?}");
        }
    }

    #[test]
    fn a_path_covers_what_lies_below_it_and_no_other() {
        for (path, below) in [("", "eh"), ("eh", "eh"), ("eh", "eh/partitions/0")] {
            assert!(covers(path, below), "{path:?} {below:?}");
        }
        for (path, other) in [("eh", "eh2"), ("eh/partitions/0", "eh"), ("eh/partitions/1", "eh/partitions/10")] {
            assert!(!covers(path, other), "{path:?} {other:?}");
        }
    }
}
