//! The pure rules of Claviger: ids, caveats, grants, handles, capabilities, steps and codecs.
