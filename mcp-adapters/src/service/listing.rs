//! Lists whose scope is a choice: asked once for each id in scope, and put together.

use serde_json::{Map, Value, json};

use crate::call::Call;
use crate::failure::{Failure, Refused};
use crate::text::clean;

/// The elements of all answers, each once, and where their lists go on.
#[derive(Debug)]
pub struct Listing {
    /// The elements, in the order of the answers.
    pub items: Vec<Value>,
    /// For each list that goes on: the choice it is of (`None` where the scope is not a choice), and its page.
    pub pages: Vec<(Option<String>, String)>,
    /// How many steps were sent.
    pub sent: u32,
}

/// Sends `step` once for each choice of `resource` as the parameter of that name, or once without where the grant does
/// not bound it. `list` is the name of the elements' member, `id` that of an element's identity.
///
/// A page belongs to one of the lists. Which one, only the vault knows: with a `page` argument and several choices, the
/// lists that refuse it are left out, and only if all do, the call fails.
///
/// # Errors
/// The first failure of a step.
pub async fn gather(call: &Call, step: &str, resource: &str, list: &str) -> Result<Listing, Failure> {
    let choices: Vec<Option<&str>> = match call.choices(resource) {
        None => vec![None],
        Some(ids) => ids.iter().map(|id| Some(id.as_str())).collect(),
    };
    // No choice at all is a scope that nothing satisfies.
    if choices.is_empty() {
        return Err(Failure::Refused(Refused::here(Refused::OUT_OF_SCOPE)));
    }
    let any_page = call.argument("page").is_some() && choices.len() > 1;
    let mut gathered = Listing { items: Vec::new(), pages: Vec::new(), sent: 0 };
    let mut seen = std::collections::HashSet::new();
    let (mut answered, mut first_failure) = (false, None);
    for choice in choices {
        let params: Vec<(&str, &str)> = choice.map(|id| (resource, id)).into_iter().collect();
        gathered.sent += 1;
        let mut answer = match call.json(step, &params).await {
            Ok(answer) => answer,
            Err(failure) if any_page && is_about_the_page(&failure) => {
                first_failure.get_or_insert(failure);
                continue;
            }
            Err(failure) => return Err(failure),
        };
        answered = true;
        if let Some(page) = answer.get("nextPageToken").and_then(Value::as_str) {
            gathered.pages.push((choice.map(str::to_owned), page.to_owned()));
        }
        let Some(Value::Array(items)) = answer.get_mut(list).map(Value::take) else { continue };
        for item in items {
            if item.get("id").and_then(Value::as_str).is_some_and(|id| seen.insert(id.to_owned())) {
                gathered.items.push(item);
            }
        }
    }
    match first_failure {
        Some(failure) if !answered => Err(failure),
        _ => Ok(gathered),
    }
}

fn is_about_the_page(failure: &Failure) -> bool {
    match failure {
        Failure::Refused(refused) => {
            refused.field == "page" || refused.is(Refused::OUT_OF_SCOPE) || refused.is(Refused::BAD_ARGUMENTS)
        }
        Failure::Upstream { status, .. } => *status == 400,
        _ => false,
    }
}

/// Adds `next_page`, or with several lists `next_pages` (each with its choice's id), to a result; returns what to tell a
/// reader, empty if there is no more.
pub fn tell_pages(
    pages: Vec<(Option<String>, String)>,
    several: bool,
    resource: &str,
    structured: &mut Map<String, Value>,
) -> String {
    if pages.is_empty() {
        return String::new();
    }
    if !several {
        let page = pages.into_iter().next().map(|(_, page)| clean::line(&page, 2000)).unwrap_or_default();
        let text = format!("\n\nThere is more: page={page}");
        structured.insert("next_page".to_owned(), page.into());
        return text;
    }
    let mut text = String::from("\n\nThere is more:");
    let told: Vec<Value> = pages
        .into_iter()
        .map(|(choice, page)| {
            let (choice, page) = (clean::line(&choice.unwrap_or_default(), 200), clean::line(&page, 2000));
            text.push_str(&format!("\n{resource} {choice}: page={page}"));
            json!({resource: choice, "page": page})
        })
        .collect();
    structured.insert("next_pages".to_owned(), told.into());
    text
}
