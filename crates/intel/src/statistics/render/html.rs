//! x
pub fn html(_: &super::super::Report) -> String {
    String::new()
}
