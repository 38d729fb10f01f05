//! Ids and names have one form: what is read is what was written.

use proptest::prelude::*;

use crate::id::{BootId, CallId, CapabilityId, GrantId, HandleId, Ref, ReplicaId, UseId, VaultId};
use crate::name::{Account, AdapterName, AgentName, Ident, SecretName, ServiceId, ToolName};
use crate::refusal::Class;

fn one_form<T: std::str::FromStr + ToString>(text: &str) -> Result<(), TestCaseError> {
    if let Ok(read) = text.parse::<T>() {
        prop_assert_eq!(read.to_string(), text);
    }
    Ok(())
}

proptest! {
    #[test]
    fn ids_read_back(long in any::<[u8; 16]>(), short in any::<[u8; 8]>()) {
        macro_rules! check {
            ($bytes:ident: $($id:ident),*) => { $({
                let id = $id::from_bytes($bytes);
                prop_assert_eq!(id.to_string().parse(), Ok(id));
                prop_assert_eq!($id::from_slice(&$bytes), Some(id));
                prop_assert_eq!($id::from_slice(&$bytes[1..]), None);
            })* };
        }
        check!(long: VaultId, HandleId, CapabilityId, BootId);
        check!(short: GrantId, CallId, UseId, Ref, ReplicaId);
    }

    #[test]
    fn no_id_has_a_second_form(text in "(gr_|hdl_|cap_|GR_)?[0-9a-fA-F ]{14,34}|\\PC{0,20}") {
        one_form::<GrantId>(&text)?;
        one_form::<HandleId>(&text)?;
        one_form::<CapabilityId>(&text)?;
    }

    #[test]
    fn no_name_has_a_second_form(text in "[a-zA-Z0-9_./-]{0,12}|\\PC{0,12}") {
        one_form::<AgentName>(&text)?;
        one_form::<AdapterName>(&text)?;
        one_form::<ServiceId>(&text)?;
        one_form::<Account>(&text)?;
        one_form::<Ident>(&text)?;
        one_form::<SecretName>(&text)?;
        one_form::<ToolName>(&text)?;
    }

    #[test]
    fn what_hosts_see_fits_them(service in "[a-z][a-z0-9-]{0,30}", account in "[a-z0-9][a-z0-9-]{0,31}", tool in "[a-z][a-z0-9_]{0,39}") {
        if let (Ok(service), Ok(account), Ok(tool)) =
            (service.parse::<ServiceId>(), account.parse::<Account>(), tool.parse::<Ident>())
        {
            for account in [None, Some(&account)] {
                if let Some(name) = ToolName::new(service.clone(), tool.clone()).mcp_name(account) {
                    prop_assert!(name.len() <= 64);
                    prop_assert!(name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-'));
                }
            }
        }
    }
}

#[test]
fn classes_read_back() {
    for class in Class::ALL {
        assert_eq!(Class::from_word(class.as_str()), Some(class));
    }
}
