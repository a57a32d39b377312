//! Journal (what happened) and Store (what is true now).
