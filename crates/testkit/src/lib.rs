//! What the tests of Iron Learn share.

pub mod alloc;
pub mod compare;
pub mod corpus;
pub mod gradcheck;
pub mod machine_code;
pub mod poison;
pub mod random_graph;
pub mod random_network;
pub mod refusing;
pub mod registry;
pub mod remote;
pub mod rng;
pub mod standin;
pub mod tier;
