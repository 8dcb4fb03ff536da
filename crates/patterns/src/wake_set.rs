//! Which of many children were woken, at a cost per wake that does not grow with their number.
