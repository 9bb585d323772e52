//! A small part of the simulation, every attack by itself, random histories, and a large state.

mod attacks;
mod fees;
mod histories;
mod large;
mod scene;
mod small;
