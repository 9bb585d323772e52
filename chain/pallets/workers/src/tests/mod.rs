//! Registrations with quotes of the development root, verified by the attestation pallet itself.

mod answers;
mod mock;
mod registration;
mod registry;
mod reliability;
