//! The operators: a table from names to functions, and a file of functions for each group.

mod activation;
mod elementwise;
mod gather;
mod movement;
mod norm;
mod product;
mod recurrent;
mod reduce;
mod source;
mod spatial;
mod table;

use super::call::{Call, Found};

/// Computes the results of a node.
pub(super) type Operator = for<'a, 'g> fn(&Call<'a, 'g>) -> Found<'g>;

/// A group of operators by name.
type Group = &'static [(&'static str, Operator)];

/// The operators of ONNX itself.
const GROUPS: [Group; 10] = [
    activation::GROUP,
    elementwise::GROUP,
    gather::GROUP,
    movement::GROUP,
    norm::GROUP,
    product::GROUP,
    recurrent::GROUP,
    reduce::GROUP,
    source::GROUP,
    spatial::GROUP,
];

/// What computes an operator of a domain; none where it is not supported.
pub(super) fn operator(domain: &str, name: &str) -> Option<Operator> {
    let in_groups = |groups: &[Group]| {
        groups.iter().flat_map(|group| group.iter()).find(|(n, _)| *n == name).map(|(_, operator)| *operator)
    };
    match domain {
        "" => in_groups(&GROUPS),
        table::DOMAIN => in_groups(&[table::GROUP]),
        _ => None,
    }
}

/// The names of all operators, in order.
pub(super) fn supported() -> Vec<String> {
    let own = GROUPS.iter().flat_map(|group| group.iter()).map(|(name, _)| (*name).to_owned());
    let table = table::GROUP.iter().map(|(name, _)| format!("{}.{name}", table::DOMAIN));
    let mut names: Vec<String> = own.chain(table).collect();
    names.sort_unstable();
    names
}
