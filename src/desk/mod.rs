//! The desk: what people ask from a chat is understood, allowed or refused, done, and told, here.
