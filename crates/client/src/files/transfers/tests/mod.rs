mod bytes;
mod disk;
mod hostile;
mod real;
mod rules;
mod simulation;
mod world;
