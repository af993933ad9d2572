//! Call legs, WebRTC peers and what joins them; time and datagrams are passed in.
