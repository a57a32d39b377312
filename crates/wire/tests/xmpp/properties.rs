//! What holds for every stanza: those of the transcripts, and trees nobody would write.
