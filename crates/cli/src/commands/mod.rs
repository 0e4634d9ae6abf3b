//! One file for each command.

pub mod bench;
pub mod doctor;
pub mod evaluate;
pub mod export;
pub mod generate;
pub mod help;
pub mod import;
pub mod inspect;
pub mod predict;
pub mod quantize;
pub mod resume;
pub mod train;
