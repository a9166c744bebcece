#!/usr/bin/env ruby
# frozen_string_literal: true

# Copyright of the Usher developers. Licence: MIT.
#
# Hands the recordings of a BigBlueButton server to the recordings library of Usher.
#
# Place this file in /usr/local/bigbluebutton/core/scripts/post_publish/: BigBlueButton runs it after each format of a
# recording, as `ruby usher_post_publish.rb -m RECORDID -f FORMAT`. It needs no configuration for meetings that were
# created through Usher: their metadata names the library. An upload that does not succeed is left in a queue, which
#
#   */10 * * * * root ruby /usr/local/bigbluebutton/core/scripts/post_publish/usher_post_publish.rb --pending
#
# in /etc/cron.d/usher-recordings works off: after ten minutes, then at growing intervals up to a day, until the library
# has the recording. `--pending --all` tries everything at once. The script never fails BigBlueButton's own queue, and
# never touches raw recordings. The published copy of a format is removed 24 hours after the library has committed it,
# and only if the library then says that it has exactly this content.
#
# Optional settings in /etc/bigbluebutton/usher-recordings.properties:
#   library=https://bbb.example.org   address of the library for meetings that were not created through Usher
#   keep_hours=24                     hours for which the published copy stays on this server; -1 keeps it for ever
#
# Only Ruby's standard library is used.

require 'base64'
require 'cgi'
require 'digest'
require 'fileutils'
require 'json'
require 'net/http'
require 'openssl'
require 'optparse'
require 'uri'
require 'yaml'

# The directories and the secret of this server, from BigBlueButton's own files.
class ServerFiles
  PROPERTIES = %w[/etc/bigbluebutton/bbb-web.properties
                  /usr/share/bbb-web/WEB-INF/classes/bigbluebutton.properties].freeze
  PATHS = '/usr/local/bigbluebutton/core/scripts/bigbluebutton.yml'
  SETTINGS = '/etc/bigbluebutton/usher-recordings.properties'

  # root: a folder before all paths, for tests.
  def initialize(root)
    @root = root
    @web = PROPERTIES.reverse.map { |path| properties(path) }.reduce({}, :merge)
    @settings = properties(SETTINGS)
  end

  def secret
    @web.fetch('securitySalt') { raise 'bbb-web.properties has no securitySalt' }
  end

  def host
    URI(@web.fetch('bigbluebutton.web.serverURL', '')).host
  end

  def library
    @settings['library']
  end

  def keep_hours
    Integer(@settings.fetch('keep_hours', '24'))
  end

  def published
    paths = File.exist?(at(PATHS)) ? YAML.safe_load(File.read(at(PATHS))) : {}
    at((paths || {}).fetch('published_dir', '/var/bigbluebutton/published'))
  end

  def queue
    at('/var/bigbluebutton/recording/status/usher')
  end

  private

  def at(path)
    File.join(@root, path)
  end

  def properties(path)
    return {} unless File.exist?(at(path))

    File.readlines(at(path), chomp: true).grep(/\A[^#]*=/).to_h { |line| line.split('=', 2).map(&:strip) }
  end
end

# A request that the library did not answer as expected.
class UploadError < StandardError
  attr_reader :status

  def initialize(message, status = nil)
    super(message)
    @status = status
  end

  # Whether the recording was deleted, so that the library will never take it.
  def deleted?
    status == 410
  end
end

# The library, as this server calls it.
class Library
  ROOT = '/usher/recordings/offers'
  # A part is smaller than a token lives at a slow line.
  PART = 64 * 1024 * 1024
  TOKEN_SECONDS = 540

  def initialize(address, secret, host)
    @base = URI(address)
    @secret = secret
    @host = host
  end

  def upload(metadata, files, folder)
    offer = json(:post, ROOT, JSON.generate(metadata: metadata, files: files))
    return if offer['state'] == 'done'

    offer['missing'].each { |missing| send_file(offer['offer'], missing, folder) }
    json(:post, "#{ROOT}/#{offer['offer']}/commit", '')
  end

  # Whether the library has this content already.
  def has?(metadata, files)
    json(:post, ROOT, JSON.generate(metadata: metadata, files: files))['state'] == 'done'
  end

  private

  def send_file(offer, missing, folder)
    path = "#{ROOT}/#{offer}/files/#{missing['n']}"
    File.open(File.join(folder, missing['path']), 'rb') do |file|
      offset = missing['offset']
      loop do
        file.seek(offset)
        part = [file.size - offset, PART].min
        answer = request(:patch, path, body: file, length: part, offset: offset)
        offset = Integer(answer['Upload-Offset'])
        break if offset >= file.size
      end
    end
  end

  def json(method, path, text)
    JSON.parse(request(method, path, body: text).body)
  end

  def request(method, path, body:, length: nil, offset: nil)
    request = Net::HTTP.const_get(method.to_s.capitalize).new(@base.path.chomp('/') + path)
    request['Authorization'] = "Bearer #{token(path)}"
    if length
      request['Content-Type'] = 'application/offset+octet-stream'
      request['Upload-Offset'] = offset.to_s
      request.content_length = length
      request.body_stream = Part.new(body, length)
    else
      request['Content-Type'] = 'application/json'
      request.body = body
    end
    answer = connection.request(request)
    return answer if answer.is_a?(Net::HTTPSuccess)

    raise UploadError.new("#{method} #{path}: #{answer.code} #{answer.body.to_s[0, 300]}", answer.code.to_i)
  end

  def connection
    @connection ||= Net::HTTP.start(@base.host, @base.port,
                                    use_ssl: @base.scheme == 'https', open_timeout: 10, read_timeout: 300)
  end

  # A token is for one path and made anew for each request.
  def token(path)
    claims = { path: path, exp: Time.now.to_i + TOKEN_SECONDS, iss: @host }.compact
    signed = [{ alg: 'HS256', typ: 'JWT' }, claims].map { |part| encode(JSON.generate(part)) }.join('.')
    "#{signed}.#{encode(OpenSSL::HMAC.digest('SHA256', @secret, signed))}"
  end

  def encode(bytes)
    Base64.urlsafe_encode64(bytes, padding: false)
  end
end

# The next bytes of a file, as the body of a request.
class Part
  def initialize(file, length)
    @file = file
    @left = length
  end

  def read(length = nil, buffer = nil)
    length = [length || @left, @left].min
    return nil if @left.zero?

    bytes = @file.read(length)
    @left -= bytes ? bytes.bytesize : @left
    buffer ? buffer.replace(bytes || '') : bytes
  end
end

# One format of a recording on this server.
class Format
  attr_reader :id, :name

  def initialize(server, id, name)
    raise "#{id} is no id of a recording" unless id.match?(/\A[a-z0-9]{40}-[0-9]{13}\z/)
    raise "#{name} is no format" unless name.match?(/\A[a-z][a-z0-9_-]{0,31}\z/)

    @server = server
    @id = id
    @name = name
  end

  def folder
    File.join(@server.published, name, id)
  end

  def published?
    File.exist?(File.join(folder, 'metadata.xml'))
  end

  def metadata
    File.read(File.join(folder, 'metadata.xml'), encoding: 'UTF-8')
  end

  def library
    # BigBlueButton writes the metadata of a meeting as one element for each key.
    named = metadata[%r{<usher-library>\s*([^<]+?)\s*</usher-library>}, 1]
    named ? CGI.unescapeHTML(named) : @server.library
  end

  def files(folder = self.folder)
    paths = Dir.glob('**/*', File::FNM_DOTMATCH, base: folder)
    paths.select { |path| File.file?(File.join(folder, path)) && !File.symlink?(File.join(folder, path)) }.sort.map do |path|
      file = File.join(folder, path)
      { path: path, size: File.size(file), sha256: Digest::SHA256.file(file).hexdigest }
    end
  end
end

# The uploads that wait, and the copies that wait for their removal: a file for each.
class UploadQueue
  def initialize(server)
    @server = server
    @folder = server.queue
    FileUtils.mkdir_p(@folder)
  end

  # Uploads a format. A failed upload stays in the queue, and no error is raised.
  def upload(format)
    address = format.published? && format.library
    return forget(format, 'pending') unless address

    # Before the attempt: the next one is later each time, also if this process ends.
    attempts = attempts_of(format) + 1
    wait = [600 * (2**[attempts - 1, 8].min), 86_400].min
    note(format, 'pending', "#{attempts} #{Time.now.to_i + wait}")
    library(address).upload(format.metadata, format.files, format.folder)
    note(format, 'committed', Time.now.to_i.to_s)
    forget(format, 'pending')
  rescue UploadError => e
    warn "usher: #{format.id} #{format.name}: #{e.message}"
    # A recording that was deleted in the library stays on this server until its own deletion.
    forget(format, 'pending') if e.deleted?
  rescue StandardError => e
    warn "usher: #{format.id} #{format.name}: #{e.class}: #{e.message}"
  end

  # Tries the waiting uploads, and removes the copies whose time is over.
  def work_off(all:)
    each('pending') { |format, file| upload(format) if all || File.read(file).split[1].to_i <= Time.now.to_i }
    keep = @server.keep_hours
    return if keep.negative?

    each('committed') do |format, file|
      next if File.read(file).to_i + (keep * 3600) > Time.now.to_i

      remove_copy(format)
    end
  end

  private

  # Removes the published copy if the library says that it has exactly this content: the format may have been rendered
  # again since the commit.
  def remove_copy(format)
    address = format.published? && format.library
    return forget(format, 'committed') unless address
    files = format.files
    return upload(format) unless library(address).has?(format.metadata, files)

    # Out of the way first: a rendering that ends at this moment is not removed.
    aside = File.join(@folder, "#{format.id}-#{format.name}.removed")
    FileUtils.rm_rf(aside)
    FileUtils.mv(format.folder, aside)
    return FileUtils.mv(aside, format.folder) unless format.files(aside) == files

    FileUtils.rm_rf(aside)
    forget(format, 'committed')
  rescue UploadError => e
    warn "usher: #{format.id} #{format.name}: #{e.message}"
    # The recording was deleted in the library: the copy stays until its own deletion.
    forget(format, 'committed') if e.deleted?
  end

  def library(address)
    Library.new(address, @server.secret, @server.host)
  end

  def each(kind)
    Dir.glob(File.join(@folder, "*.#{kind}")).sort.each do |file|
      id, name = File.basename(file, ".#{kind}").match(/\A(.{54})-(.+)\z/)&.captures
      yield Format.new(@server, id, name), file if id
    rescue StandardError => e
      warn "usher: #{file}: #{e.message}"
    end
  end

  def attempts_of(format)
    file = path(format, 'pending')
    File.exist?(file) ? File.read(file).to_i : 0
  end

  def note(format, kind, text)
    file = path(format, kind)
    File.write("#{file}.new", text)
    File.rename("#{file}.new", file)
  end

  def forget(format, kind)
    FileUtils.rm_f(path(format, kind))
  end

  def path(format, kind)
    File.join(@folder, "#{format.id}-#{format.name}.#{kind}")
  end
end

if $PROGRAM_NAME == __FILE__
  options = { root: '/' }
  OptionParser.new do |parser|
    parser.on('-m', '--meeting-id ID') { |id| options[:id] = id }
    parser.on('-f', '--format FORMAT') { |name| options[:format] = name }
    parser.on('--pending') { options[:pending] = true }
    parser.on('--all') { options[:all] = true }
    parser.on('--root FOLDER') { |folder| options[:root] = folder }
  end.parse!
  begin
    server = ServerFiles.new(options[:root])
    queue = UploadQueue.new(server)
    if options[:pending]
      File.open(File.join(server.queue, 'lock'), File::CREAT) do |lock|
        queue.work_off(all: options[:all]) if lock.flock(File::LOCK_EX | File::LOCK_NB)
      end
    else
      formats = options[:format] ? [options[:format]] : Dir.children(server.published)
      formats.each { |name| queue.upload(Format.new(server, options.fetch(:id), name)) }
    end
  rescue StandardError => e
    # BigBlueButton's own queue goes on.
    warn "usher: #{e.class}: #{e.message}"
  end
end
