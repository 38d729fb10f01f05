//! Making strangers' text readable and harmless to the eye: character sets, encoded words, HTML, invisible characters.

pub mod charset;
pub mod clean;
mod entities;
pub mod html;
pub mod words;
