//! Plans over the store.
