//! One file for each command.

pub mod bench;
pub mod compare;
pub mod doctor;
pub mod evaluate;
pub mod export;
pub mod generate;
pub mod help;
pub mod import;
pub mod inspect;
pub mod lr_find;
pub mod predict;
pub mod quantize;
pub mod resume;
pub mod serve;
pub mod sweep;
pub mod train;
