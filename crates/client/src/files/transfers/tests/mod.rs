mod bytes;
mod disk;
mod greedy;
mod hostile;
mod real;
mod rules;
mod simulation;
mod world;
