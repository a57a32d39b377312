//! Rule text to policy; subject and findings to verdict. No I/O.
