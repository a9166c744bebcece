//! The recordings library: the script of a server uploads with a genuine Ruby, the edges list and play.

mod library;
mod moving;
mod server_folder;
