//! A small part of the simulation, every attack by itself, random histories, a large state, and a full one.

mod attacks;
mod fees;
mod histories;
mod large;
mod populated;
mod scene;
mod small;
