//! Registrations with quotes of the development root, verified by the attestation pallet itself.

mod mock;
mod registry;
mod registration;
