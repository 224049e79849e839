-- What a connection over stdio starts, as JSON; the values of its environment are in sealed_credential.
ALTER TABLE connections ADD COLUMN program TEXT;
