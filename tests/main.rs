//! Both programs together.
