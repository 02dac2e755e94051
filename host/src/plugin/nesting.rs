//! How often the components of a component instantiate one another. A few hundred bytes can ask for billions of
//! instances, ten of ten of ten; the compiler would lay each out. Bounded before it sees them, from above: whatever is
//! instantiated counts as the heaviest component so far, for only what stands before can be meant.

use wasmparser::{ComponentInstance, Encoding, Parser, Payload};

/// The most instances, counted from above. A plugin has some ten, one that is composed of others some hundred.
const LIMIT: u64 = 10_000;

/// Holds a component's instances within bounds. What cannot be read is left to the compiler, which says more of it.
pub(super) fn check(component: &[u8]) -> Result<(), String> {
    let (mut open, mut heaviest) = (Vec::new(), 0_u64);
    for payload in Parser::new(0).parse_all(component) {
        match payload {
            Ok(Payload::Version { encoding, .. }) => open.push(u64::from(encoding == Encoding::Component)),
            Ok(Payload::ComponentInstanceSection(instances)) => {
                let instances = instances.into_iter().filter(|instance| {
                    matches!(instance, Ok(ComponentInstance::Instantiate { .. })) // others only name what is there
                });
                let weight = heaviest.saturating_mul(instances.count() as u64);
                open.iter_mut().last().into_iter().for_each(|open| *open = open.saturating_add(weight));
            }
            Ok(Payload::End(_)) => heaviest = heaviest.max(open.pop().unwrap_or_default()),
            Ok(_) => {}
            Err(_) => return Ok(()),
        }
        if open.last().is_some_and(|weight| *weight > LIMIT) {
            return Err(format!("its components instantiate one another more than {LIMIT} times"));
        }
    }
    Ok(())
}
