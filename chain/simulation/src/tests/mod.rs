//! A small part of the simulation, every attack by itself, random histories, and a large state.

mod attacks;
mod scene;
mod small;
