//! The vault daemon and the admin command line of Claviger.
