//! Members, their votes and what they are caught at, with Aura, the session pallet and a council as the runtime has them.

mod decisions;
mod members;
mod mock;
mod offences;
