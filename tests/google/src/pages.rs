//! Page tokens: opaque, and good only for the query they were made for.

use std::collections::BTreeMap;

use crate::google_error as refuse;
use crate::random;
use crate::wire::Reply;

/// The page tokens given out so far.
#[derive(Debug, Default)]
pub(crate) struct Pages(BTreeMap<String, (String, usize)>);

impl Pages {
    /// Where a page starts: 0 without a token, 400 for an unknown token or one of another query.
    pub(crate) fn start(&self, token: Option<&str>, query: &str) -> Result<usize, Reply> {
        match token {
            None => Ok(0),
            Some(token) => match self.0.get(token) {
                Some((of, offset)) if of == query => Ok(*offset),
                _ => Err(refuse::invalid_argument("Invalid pageToken")),
            },
        }
    }

    /// A token for the page after this one, if there is one.
    pub(crate) fn next(&mut self, query: &str, offset: usize, total: usize) -> Option<String> {
        (offset < total).then(|| {
            let token = random::token(15);
            self.0.insert(token.clone(), (query.to_owned(), offset));
            token
        })
    }
}
