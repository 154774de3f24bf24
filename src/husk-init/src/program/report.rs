//! What the container's side tells the host side, and its permission to go on.

use super::{Done, Failed, Named};
use crate::sys::{self, At, Errno};
use crate::wire::{Call, GO, MESSAGE_HEAD, MESSAGE_TEXT, Message, START, message, sync};

pub struct Report {
    /// Socket to the command that made this process.
    pub socket: At,
    /// Fifo to the command that starts the program, once everything else is closed.
    pub fifo: Option<At>,
    started: bool,
    operation: u16,
}

impl Report {
    pub fn new(socket: At) -> Self {
        Self { socket, fifo: None, started: false, operation: 0 }
    }

    pub fn next_operation(&mut self) {
        self.operation = self.operation.saturating_add(1);
    }

    fn message(&self, kind: u8, value: i32) -> Message<'static> {
        Message { kind, call: 0, operation: self.operation, value, detail: 0, text: &[] }
    }

    /// Tells something, without waiting for an answer.
    pub fn tell(&self, kind: u8, value: i32) -> Done {
        sys::write_all(self.socket, &self.message(kind, value).head()).of(Call::Write)
    }

    /// Waits for the host side. When it is gone, so is this process: nobody would ever reap it.
    pub fn wait_go(&self) {
        let mut go = [0u8];
        match sys::read(self.socket, &mut go) {
            Ok(1) if go == [GO] => {}
            _ => sys::exit(1),
        }
    }

    pub fn sync(&self, point: u8) -> Done {
        // The launcher has told of the first point already.
        if point != sync::SPAWNED {
            self.tell(message::SYNC, i32::from(point))?;
        }
        self.wait_go();
        Ok(())
    }

    /// Hands a terminal's master over.
    pub fn terminal(&self, master: At, number: u32) -> Done {
        let told = self.message(message::TERMINAL, number as i32);
        sys::send_with(self.socket, &told.head(), master).of(Call::Write).map(drop)
    }

    /// Hands a seccomp notification descriptor over, and waits until the agent has it.
    pub fn listener(&self, listener: At) -> Done {
        let told = self.message(message::LISTENER, 0);
        sys::send_with(self.socket, &told.head(), listener).of(Call::Write)?;
        self.wait_go();
        Ok(())
    }

    /// Tells of something that the container can do without.
    pub fn warning(&self, failed: Failed) {
        self.send(message::WARNING, failed, &[]);
    }

    /// Tells why the plan ends here.
    pub fn failed(&self, failed: Failed, text: &[u8]) {
        self.send(message::FAILED, failed, text);
    }

    fn send(&self, kind: u8, failed: Failed, text: &[u8]) {
        let Failed { call, errno, detail } = failed;
        let Self { operation, .. } = *self;
        let message =
            Message { kind, call: call.number(), operation, value: errno.0, detail, text: &[] };
        let mut bytes = [0u8; MESSAGE_HEAD + MESSAGE_TEXT];
        let text = text.get(..MESSAGE_TEXT).unwrap_or(text);
        let len = MESSAGE_HEAD + text.len();
        if let Some(head) = bytes.get_mut(..MESSAGE_HEAD) {
            head.copy_from_slice(&message.head());
        }
        if let Some(tail) = bytes.get_mut(MESSAGE_HEAD..len) {
            tail.copy_from_slice(text);
        }
        let to = match self.fifo {
            Some(fifo) if self.started => fifo,
            _ => self.socket,
        };
        // Nobody is left to tell when this fails.
        let _ = sys::write(to, bytes.get(..len).unwrap_or_default());
    }

    /// Lets go of the command that made this process and waits for `start`.
    pub fn wait_start(&mut self) -> Done {
        let Some(fifo) = self.fifo else {
            return Err(Failed { call: Call::Plan, errno: Errno::BADF, detail: 0 });
        };
        sys::close(self.socket);
        let mut byte = [0u8];
        sys::read(fifo, &mut byte).of(Call::Read)?;
        if byte != [START] {
            sys::exit(1)
        }
        self.started = true;
        Ok(())
    }
}
