//! Whether a grant as a whole can be meant. Whether each tool can keep to each caveat is asked of the caveats.

use crate::address::Pattern;
use crate::caveat::Caveat;
use crate::deny;
use crate::effect::Effect;
use crate::grant::Grant;

/// Whether the grant can be meant as it stands, when it is made.
///
/// # Errors
/// Why not, as a clause for the admin.
pub fn sound(grant: &Grant) -> Result<(), String> {
    if grant.deny {
        return deny::check(grant);
    }
    if grant.trusted_sink {
        trusted_sink(grant)?;
    }
    for caveat in &grant.caveats {
        if let Caveat::Tools(tools) = caveat
            && !tools.iter().any(|name| grant.tool(name).is_some())
        {
            return Err("none of its tools is among those that it is bounded to".to_owned());
        }
    }
    Ok(())
}

/// An agent that does what strangers say can still only write to those on the list, and only a list of addresses says who
/// these are: what a pattern takes in, a stranger may be able to register.
fn trusted_sink(grant: &Grant) -> Result<(), String> {
    let lists: Vec<&Vec<Pattern>> = grant
        .caveats
        .iter()
        .filter_map(|caveat| match caveat {
            Caveat::Recipients(patterns) => Some(patterns),
            _ => None,
        })
        .collect();
    if lists.is_empty() {
        return Err("a trusted sink needs --recipients: nothing else says to whom it sends".to_owned());
    }
    // All lists hold at once, so one of addresses alone is enough.
    if lists.iter().all(|patterns| patterns.iter().any(Pattern::is_wild)) {
        return Err("the recipients of a trusted sink are whole addresses, without `*`".to_owned());
    }
    if !grant.tools.iter().any(|tool| tool.effect == Effect::Send) {
        return Err("a trusted sink needs a tool that sends".to_owned());
    }
    Ok(())
}
