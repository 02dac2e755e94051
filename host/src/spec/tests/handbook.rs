//! What the handbook shows of transports is a spec.

use super::checked;

#[test]
fn every_transport_of_the_handbook_is_right() {
    let handbook = include_str!("../../../../docs/operators.md");
    let blocks = handbook.split("```yaml\n").skip(1).filter_map(|rest| rest.split("```").next());
    let is_whole = |block: &&str| block.lines().any(|line| line == "transports:");
    let blocks: Vec<&str> = blocks.filter(is_whole).collect();
    assert!(blocks.len() >= 5, "{}", blocks.len());
    for block in blocks {
        let text = format!("lockgate: 1\n{block}");
        match checked(&[("pipelines.yaml", &text)], &[]) {
            Ok(plan) => assert_eq!(plan.warnings.iter().count(), 0, "{block}"),
            Err(errors) => panic!("{block}\n{errors}"),
        }
    }
}
