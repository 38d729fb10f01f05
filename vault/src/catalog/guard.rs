//! The signs of text that speaks to the model.

use claviger_domain::guard::{Guard, Sign};

use super::CatalogFault;
use super::raw::{RawGuard, RawSign};

/// Of these files, in order: a sign of a later one takes the place of an earlier one of the same name.
pub(super) fn load(files: &[(String, String)]) -> Result<Guard, CatalogFault> {
    let mut signs: Vec<Sign> = Vec::new();
    let mut last = String::new();
    for (file, text) in files {
        let fault = |fault: String| CatalogFault { file: file.clone(), fault };
        let RawGuard { sign } = toml::from_str(text).map_err(|error| fault(error.to_string()))?;
        for RawSign { name, phrases, unless, shapes, cues } in sign {
            if name.is_empty()
                || name.len() > 40
                || !name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
            {
                return Err(fault(
                    "a sign's name is made of lower-case letters, digits and hyphens".to_owned(),
                ));
            }
            signs.retain(|sign| sign.name != name);
            signs.push(Sign { name, phrases, unless, shapes, cues });
        }
        last.clone_from(file);
    }
    if signs.len() > 64 {
        return Err(CatalogFault { file: last, fault: "there are at most 64 signs".to_owned() });
    }
    Guard::of(&signs).map_err(|error| CatalogFault { file: last, fault: error.to_string() })
}
